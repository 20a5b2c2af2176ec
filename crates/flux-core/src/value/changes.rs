//! How the changes of parallel branches to one document are joined.

use super::{Map, Value};
use std::sync::Arc;

/// Carries what changed between `base` and `new` over to `onto`: members that `new` lacks are
/// removed, members that it added or changed are set, objects member by member. What did not
/// change stays as it is in `onto`.
///
/// It differs from a JSON merge patch (RFC 7396) in one thing: a member that became `null` is set
/// to `null`. A merge patch cannot say that, and would remove it.
#[must_use]
pub fn carry_over(base: &Value, new: &Value, onto: Value) -> Value {
    if same(base, new) {
        return onto;
    }
    let (Value::Obj(before), Value::Obj(after)) = (base, new) else {
        return set(new, onto);
    };
    let mut map = match onto {
        Value::Obj(map) => map,
        _ => Arc::new(Map::default()),
    };
    let members = Arc::make_mut(&mut map);
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        members.shift_remove(key);
    }
    for (key, value) in after.iter() {
        let old = before.get(key);
        if old.is_some_and(|old| same(old, value)) {
            continue;
        }
        let own = members.get_mut(key).map(std::mem::take).unwrap_or_default();
        let carried = match old {
            Some(old) => carry_over(old, value, own),
            None => set(value, own),
        };
        members.insert(key.clone(), carried);
    }
    Value::Obj(map)
}

/// Sets `onto` to `new`; two objects that were both set are merged.
fn set(new: &Value, onto: Value) -> Value {
    match (new, &onto) {
        (Value::Obj(_), Value::Obj(_)) => carry_over(&Value::obj(Map::default()), new, onto),
        _ => new.clone(),
    }
}

/// Equality that does not descend into parts both sides share.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Arr(l), Value::Arr(r)) if Arc::ptr_eq(l, r) => true,
        (Value::Obj(l), Value::Obj(r)) if Arc::ptr_eq(l, r) => true,
        _ => left == right,
    }
}
