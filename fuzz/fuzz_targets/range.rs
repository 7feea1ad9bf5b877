#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../proxy/tests/proxy/fuzzing/targets.rs"]
#[expect(dead_code, reason = "each target calls one of these functions")]
mod targets;

fuzz_target!(|bytes: &[u8]| targets::range(bytes));
