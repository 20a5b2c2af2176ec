//! JSON merge patches (RFC 7396): how the changes of parallel branches to one document are joined.

use super::{Map, Value};
use std::sync::Arc;

/// Applies `patch` to `base`: objects are merged member by member, `null` removes a member, anything
/// else replaces.
#[must_use]
pub fn merge_patch(base: Value, patch: &Value) -> Value {
    let Value::Obj(changes) = patch else {
        return patch.clone();
    };
    let mut map = match base {
        Value::Obj(map) => map,
        _ => Arc::new(Map::default()),
    };
    let members = Arc::make_mut(&mut map);
    for (key, change) in changes.iter() {
        if matches!(change, Value::Null) {
            members.shift_remove(key);
        } else if let Some(member) = members.get_mut(key) {
            *member = merge_patch(std::mem::take(member), change);
        } else {
            members.insert(key.clone(), merge_patch(Value::Null, change));
        }
    }
    Value::Obj(map)
}

/// The patch that turns `base` into `new`: `merge_patch(base, &diff(&base, &new)) == new`.
///
/// A merge patch cannot say "set this member to null": where an object in `new` has a member that
/// is `null`, the patched value lacks the member (reading it still gives `null`). Nulls inside
/// arrays are kept.
#[must_use]
pub fn diff(base: &Value, new: &Value) -> Value {
    let (Value::Obj(before), Value::Obj(after)) = (base, new) else {
        return new.clone();
    };
    let mut changes = Map::default();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        changes.insert(key.clone(), Value::Null);
    }
    for (key, value) in after.iter() {
        match before.get(key) {
            Some(old) if same(old, value) => {}
            Some(old) => {
                changes.insert(key.clone(), diff(old, value));
            }
            None => {
                changes.insert(key.clone(), value.clone());
            }
        }
    }
    Value::obj(changes)
}

/// Equality that does not descend into parts both sides share.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Arr(l), Value::Arr(r)) if Arc::ptr_eq(l, r) => true,
        (Value::Obj(l), Value::Obj(r)) if Arc::ptr_eq(l, r) => true,
        _ => left == right,
    }
}
