#!/bin/bash
# SPDX-License-Identifier: MIT
# node: V8 reserves large ranges and commits pieces of them; maps, JSON, zlib, a
# worker thread and files, whose buffers belong to threads of libuv.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools node
cat >"$scratch/work.js" <<'END'
const n = +process.argv[2], file = process.argv[3];
const crypto = require("crypto"), fs = require("fs"), zlib = require("zlib");
const { Worker } = require("worker_threads");
const map = new Map(), object = {};
let sum = 0;
for (let i = 0; i < n; i++) {
	map.set("key" + i, { v: i * 2, s: "x".repeat(i % 50) + i });
	object["p" + i] = i;
}
for (let i = n - 1; i >= 0; i--)
	sum += map.get("key" + i).v + object["p" + i];
console.log(map.size, sum);
const text = JSON.stringify([...map.values()]);
console.log(text.length, crypto.createHash("sha256").update(text).digest("hex"));
const buffer = Buffer.alloc(n * 64, "abcdefg");
for (let i = 0; i < buffer.length; i += 4096)
	buffer.writeUInt32LE(i, i);
console.log(crypto.createHash("sha1").update(buffer).digest("hex"));
zlib.gzip(text, (e, packed) => zlib.gunzip(packed, (e, t) => {
	console.log(t.toString() === text);
	fs.writeFileSync(file, buffer);
	fs.readFile(file, (e, back) => {
		console.log(back.equals(buffer), JSON.parse(text).length);
		new Worker(`const a = [];
			for (let i = 0; i < ${n}; i++) a.push({ i });
			require("worker_threads").parentPort.postMessage(
				a.reduce((s, x) => s + x.i, 0));`, { eval: true })
			.on("message", (x) => console.log(x));
	});
}));
END
compare node "$scratch/work.js" "$(by_size 20000 400000)" "$scratch/buffer"
tap_done
