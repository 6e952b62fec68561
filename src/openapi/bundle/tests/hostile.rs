//! Values of any form, and many of them.
