#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../proxy/tests/proxy/fuzzing/targets.rs"]
#[allow(dead_code)]
mod targets;

fuzz_target!(|bytes: &[u8]| targets::config(bytes));
