# What try.sh does with the package: installs, starts, uses, restarts, removes.
trap 'systemctl status --no-pager cresset || true; journalctl --no-pager --unit cresset | tail -20' EXIT
dpkg --install /package.deb
cresset --version
test "$(stat -c '%a %U %G' /etc/cresset/cresset.toml)" = "640 root cresset"
test -s /usr/share/man/man1/cresset.1.gz
test -s /usr/share/bash-completion/completions/cresset
test -s /usr/share/zsh/vendor-completions/_cresset
test -s /usr/share/fish/vendor_completions.d/cresset.fish
test -s /usr/share/doc/cresset/copyright
cresset config check --config /etc/cresset/cresset.toml
systemd-analyze verify --man=no cresset.service
# Of ten; without any hardening it is above nine.
systemd-analyze security --threshold=15 cresset.service > /tmp/security || { cat /tmp/security; false; }

# It is for the administrator to start it.
test "$(systemctl is-enabled cresset)" = disabled
systemctl start cresset
base=http://127.0.0.1:8080
ask() { curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-connrefused "$@"; }
ask $base/health/ready
test "$(ps -o user= -C cresset)" = cresset
ask $base/r5/Patient/p -X PUT -H 'content-type: application/fhir+json' -d '{"resourceType":"Patient","id":"p"}'
systemctl reload cresset
systemctl restart cresset
ask $base/r5/Patient/p
systemctl stop cresset
systemctl show cresset -p Result | grep success

dpkg --install /package.deb
dpkg --purge cresset
test ! -e /usr/bin/cresset
test ! -e /etc/cresset
test -e /var/lib/cresset
trap - EXIT
