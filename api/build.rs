//! Tells cargo that the migrations are part of the program: they are embedded in it.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
