//! Installs the programs that the checks and tests need, where they are missing.

use anyhow::{Context as _, Result, bail};

use crate::process;

/// The newest that was tried here; 0.9.151 and older build with Rust 1.95.
const NEXTEST_VERSION: &str = "0.9.143";

/// The newest that builds with Rust 1.95.
const DEB_VERSION: &str = "3.8.0";

/// A program from Debian's packages.
struct SystemPackage {
    package: &'static str,
    /// A command that succeeds when it is there.
    probe: &'static [&'static str],
    /// What needs it.
    reason: &'static str,
}

const SYSTEM_PACKAGES: [SystemPackage; 13] = [
    SystemPackage {
        package: "chromium",
        probe: &["chromium", "--version"],
        reason: "the browser that a page is tested in",
    },
    SystemPackage {
        package: "curl",
        probe: &["curl", "--version"],
        reason: "the commands in the documents",
    },
    SystemPackage {
        package: "dpkg-dev",
        probe: &["dpkg-shlibdeps", "--version"],
        reason: "what the Debian package depends on",
    },
    SystemPackage {
        package: "gcc",
        probe: &["cc", "--version"],
        reason: "the C code of SQLite, ring and zstd",
    },
    SystemPackage {
        package: "kcat",
        probe: &["kcat", "-V"],
        reason: "the Kafka cluster and consumer that the channel kafka is tested with",
    },
    SystemPackage {
        package: "nats-server",
        probe: &["nats-server", "--version"],
        reason: "the server that the channel nats is tested with",
    },
    SystemPackage {
        package: "nodejs",
        probe: &["node", "--version"],
        reason: "the tests of the clients for browsers and Node",
    },
    SystemPackage { package: "npm", probe: &["npm", "--version"], reason: "installing those" },
    SystemPackage {
        package: "prometheus",
        probe: &["promtool", "--version"],
        reason: "the tool that metrics and alert rules are checked with",
    },
    SystemPackage {
        package: "python3-venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        reason: "the Python clients that the server is tested with",
    },
    SystemPackage {
        package: "python3-aiosmtpd",
        // Debian's own Python, which sees Debian's packages.
        probe: &["/usr/bin/python3", "-c", "import aiosmtpd"],
        reason: "the SMTP server of the tests",
    },
    SystemPackage {
        package: "systemd",
        probe: &["systemd-analyze", "--version"],
        reason: "the unit of the Debian package",
    },
    SystemPackage {
        package: "valgrind",
        probe: &["valgrind", "--version"],
        reason: "counting the instructions of matching",
    },
];

/// A part of the Rust toolchain.
const COMPONENTS: [(&str, &[&str]); 2] =
    [("rustfmt", &["cargo", "fmt", "--version"]), ("clippy", &["cargo", "clippy", "--version"])];

/// Installs what is missing.
pub(crate) fn install() -> Result<()> {
    for (component, probe) in COMPONENTS {
        if !process::succeeds(probe) {
            process::run(&["rustup", "component", "add", component])
                .with_context(|| format!("Rust's {component} is missing; please install it"))?;
        }
    }
    for package in &SYSTEM_PACKAGES {
        if !process::succeeds(package.probe) {
            install_package(package)?;
        }
    }
    cargo_program("cargo-nextest", NEXTEST_VERSION, &["cargo", "nextest", "--version"])?;
    cargo_deb()
}

/// Installs what makes Debian packages, if it is missing.
pub(crate) fn cargo_deb() -> Result<()> {
    cargo_program("cargo-deb", DEB_VERSION, &["cargo", "deb", "--version"])
}

/// Installs a program that is written in Rust, if the probe fails.
pub(crate) fn cargo_program(name: &str, version: &str, probe: &[&str]) -> Result<()> {
    if process::succeeds(probe) {
        return Ok(());
    }
    eprintln!("    installing {name} {version}");
    process::run(&["cargo", "install", "--locked", name, "--version", version])
        .with_context(|| format!("{name} is missing and cannot be installed here"))
}

fn install_package(package: &SystemPackage) -> Result<()> {
    let SystemPackage { package: name, reason, .. } = package;
    eprintln!("    installing {name} ({reason})");
    let missing =
        || format!("{name} is missing ({reason}) and cannot be installed here; please install it");
    if !process::succeeds(&["apt-get", "--version"]) {
        bail!("{}: there is no apt-get", missing());
    }
    let as_root = process::succeeds(&["test", "-w", "/var/lib/dpkg"]);
    let sudo: &[&str] = if as_root { &[] } else { &["sudo", "--non-interactive"] };
    let set = &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"];
    let apt = [sudo, set].concat();
    let install = [&apt[..], &["install", "--no-install-recommends", name]].concat();
    // The package lists of a fresh machine are empty or old.
    process::run(&[&apt[..], &["update"]].concat()).with_context(missing)?;
    process::run(&install).with_context(missing)?;
    if !process::succeeds(package.probe) {
        bail!("{name} was installed, but `{}` still fails", package.probe.join(" "));
    }
    Ok(())
}
