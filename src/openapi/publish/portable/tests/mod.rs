mod cycles;
mod flatten;
mod properties;
