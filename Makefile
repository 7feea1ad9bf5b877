# Each target calls one script, which a reader could as well type.

.PHONY: help up down native rollout figures attacks bench bench-docs screenshots test lint

help:
	@echo 'make up      run the stack: on Docker where an engine answers, else as plain processes'
	@echo 'make native  run it as plain processes, in this terminal, until Ctrl-C'
	@echo 'make down    end either; the data stays'
	@echo 'make rollout replace every API by a new one, in turn, and lose no request'
	@echo 'make test    run every test'
	@echo 'make figures measure what each event costs, and write docs/figures.md (takes a while)'
	@echo 'make attacks attack the proxy on this machine, and print what an honest client feels of it'
	@echo 'make bench   measure what a request costs, beside nginx, HAProxy, Caddy and Django: ONLY=hop-small ROUNDS=9'
	@echo 'make bench-docs  write what was measured into docs/performance.md'
	@echo 'make screenshots  make the pictures of the pages in docs/images, in a headless Chromium'
	@echo 'make lint    check format, Clippy, documentation, licences and layers'

up:
	@scripts/up
down:
	@scripts/down
native:
	@scripts/native
rollout:
	@scripts/rollout
figures:
	@scripts/figures
attacks:
	@scripts/attacks
bench:
	@scripts/bench
bench-docs:
	@scripts/bench --docs
screenshots:
	@scripts/screenshots
test:
	@scripts/test
lint:
	@scripts/setup lint
	@scripts/lint
