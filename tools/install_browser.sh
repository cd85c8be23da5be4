#!/usr/bin/env bash
# Get the browser in which tests open the report: Debian's Chromium, through apt-get.
# Does nothing where a browser is there. Where it cannot be installed, this says so and
# succeeds: those tests are then skipped, but for CI, where they fail.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" > /dev/null; then
    exit 0
  fi
done
if ! command -v apt-get > /dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "No Chromium found, and none can be installed here (apt-get as root)." >&2
  echo "Install it yourself to run the tests of the report in a browser." >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends chromium fonts-liberation > /dev/null
