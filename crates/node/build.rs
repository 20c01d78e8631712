//! Sets the linker up for an addon, and keeps its image mapped once it is loaded: a thread-local destructor
//! or an exit handler of this library may run after the last environment that loaded it is gone.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os == "android") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
