//! The marker that ties a test to the requirements it proves.

/// Names the requirements that a test proves; does nothing when it runs.
#[macro_export]
macro_rules! verifies {
    ($($id:literal),+ $(,)?) => {
        const _: &[&str] = &[$($id),+];
    };
}
