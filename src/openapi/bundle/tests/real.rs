//! Documents over several files that people really publish.

use std::path::Path;

use crate::openapi::Value;

use super::super::{Bundled, Bundler, FILES};
use crate::openapi::{ReadLimits, pointer, read};

/// Bundles a document of `tests/specs`.
fn bundle(name: &str) -> (Bundled, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
    let get = |location: &str| -> Result<Value, String> {
        let bytes = std::fs::read(root.join(location)).map_err(|e| e.to_string())?;
        read(&bytes, &ReadLimits::default()).map_err(|e| e.to_string())
    };
    let mut bundler = Bundler::new(get(name).unwrap(), name);
    let mut files = 1;
    loop {
        let wanted = bundler.wanted();
        if wanted.is_empty() {
            return (bundler.finish(), files);
        }
        files += wanted.len();
        for location in wanted {
            bundler.supply(&location, get(&location));
        }
    }
}

/// The references of a value, wherever they stand.
fn references<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|inner| references(inner, out));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, out)),
        _ => {}
    }
}

/// The operations, and that every reference leads somewhere.
fn operations(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    references(value, &mut all);
    for reference in all {
        assert!(pointer::resolve(value, reference).is_some(), "{reference}");
    }
    let mut found = Vec::new();
    for (path, item) in value["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Some(id) = operation.get("operationId").and_then(Value::as_str) {
                found.push(format!("{method} {path} {id}"));
            }
        }
    }
    found
}

#[test]
fn petstore() {
    let (bundled, files) = bundle("oai-petstore-separate.v2/spec/swagger.yaml");
    assert_eq!((files, bundled.report.len()), (5, 0));
    assert_eq!(
        operations(&bundled.value),
        [
            "get /pets findPets",
            "post /pets addPet",
            "get /pets/{id} find pet by id",
            "delete /pets/{id} deletePet"
        ]
    );
    let names: Vec<_> = bundled.value[FILES].as_object().unwrap().keys().collect();
    assert_eq!(names, ["parameters", "Pet", "Error", "NewPet"]);
    assert_eq!(
        bundled.origins.of("#/x-plugway-files/Error/required"),
        "oai-petstore-separate.v2/common/Error.yaml#/required"
    );
}

#[test]
fn cafe() {
    let (bundled, files) = bundle("redocly-cafe-split-3.2/cafe.yaml");
    assert_eq!(bundled.report, []);
    // The operations of redocly-cafe-3.2.yaml, the same document in one file.
    assert_eq!(
        operations(&bundled.value),
        [
            "get /menu listMenuItems",
            "post /menu createMenuItem",
            "delete /menu/{menuItemId} deleteMenuItem",
            "get /menu-item-images/{menuItemId} getMenuItemPhoto",
            "get /orders listOrders",
            "post /orders createOrder",
            "get /orders/{orderId} getOrderById",
            "patch /orders/{orderId} updateOrder",
            "delete /orders/{orderId} deleteOrder",
            "get /order-items listOrderItems",
            "get /revenue getRevenue",
            "post /oauth2/register registerOAuth2Client",
        ]
    );
    assert_eq!(files, 40);
    assert_eq!(
        bundled.origins.of("#/paths/~1orders~1{orderId}/get"),
        "redocly-cafe-split-3.2/paths/orders_{orderId}.yaml#/get"
    );
}
