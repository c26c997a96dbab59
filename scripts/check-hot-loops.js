#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Looks at the machine code of the kernels: no innermost loop that multiplies and adds may touch the
// stack with a vector register, since such a loop has lost an accumulator or a weight to memory. Reads
// the objects of a finished build with objdump; measures nothing.
//
// Usage: node scripts/check-hot-loops.js BUILD_FOLDER...   (OBJDUMP names another objdump)
// Lists what it finds; exit 1 if there is anything, or if an object has no such loop at all.

'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const { basename, join } = require('node:path');

const X86_STACK = {
  vector: /[xyz]mm/,
  stack: /\(%rsp[,)]/,
  // Without a frame pointer rbp is a register like any other.
  frame: { set: /\bmov\s+%rsp,%rbp/, stack: /\(%rbp\)/ },
};

// The scalar table has no vectors to lose.
const ISAS = {
  avx512: { fma: /\bvfm(add|sub)\w+ps\b/, jump: /^j\w+\s+([0-9a-f]+)/, ...X86_STACK },
  avx2: { fma: /\bvfm(add|sub)\w+ps\b/, jump: /^j\w+\s+([0-9a-f]+)/, ...X86_STACK },
  neon: { fma: /\bfml[as]\s+v/, vector: /\b[qdv]\d+\b/, stack: /\[sp/, jump: /^(?:b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+([0-9a-f]+)/ },
};

function objectOf(folder, isa) {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => basename(file) === `${isa}.cc.o`);
  return found.length === 0 ? undefined : join(folder, found[0]);
}

/** [{ name, code: [{ at, text }] }], one for each function. */
function disassemble(object) {
  const objdump = process.env.OBJDUMP ?? 'objdump';
  const run = spawnSync(objdump, ['-d', '-C', '--no-show-raw-insn', object], { encoding: 'utf8', maxBuffer: 1 << 29 });
  if (run.status !== 0) throw new Error(`${objdump} ${object} failed: ${run.error?.message ?? run.stderr}`);
  const functions = [];
  for (const line of run.stdout.split('\n')) {
    const start = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (start) functions.push({ name: start[1], code: [] });
    const instruction = /^\s+([0-9a-f]+):\s+(.*)$/.exec(line);
    if (instruction) functions.at(-1)?.code.push({ at: parseInt(instruction[1], 16), text: instruction[2] });
  }
  return functions;
}

/** The instructions of a loop that move a vector to or from the stack. */
function stackAccesses(body, { code }, { vector, stack, frame }) {
  const framed = frame !== undefined && code.some(({ text }) => frame.set.test(text));
  return body.filter(({ text }) => vector.test(text) && (stack.test(text) || (framed && frame.stack.test(text))));
}

/** The bodies of loops without a jump inside that multiply and add. */
function hotLoops({ code }, { fma, jump }) {
  const index = new Map(code.map(({ at }, i) => [at, i]));
  const loops = [];
  code.forEach(({ at, text }, i) => {
    const target = jump.exec(text);
    const first = target === null ? undefined : index.get(parseInt(target[1], 16));
    if (first === undefined || code[first].at > at) return;
    const body = code.slice(first, i);
    if (!body.some((one) => jump.test(one.text)) && body.some((one) => fma.test(one.text))) loops.push(body);
  });
  return loops;
}

let failures = 0;
const folders = process.argv.slice(2);
if (folders.length === 0 || !folders.every((folder) => existsSync(folder))) {
  process.stderr.write('usage: node scripts/check-hot-loops.js BUILD_FOLDER... (a finished CMake build)\n');
  process.exit(2);
}
for (const folder of folders) {
  const objects = Object.keys(ISAS).map((isa) => [isa, objectOf(folder, isa)]).filter(([, object]) => object !== undefined);
  if (objects.length === 0) {
    process.stderr.write(`${folder} has no object of avx512.cc, avx2.cc or neon.cc\n`);
    failures++;
  }
  for (const [isa, object] of objects) {
    let loops = 0;
    let spilling = 0;
    for (const one of disassemble(object)) {
      for (const body of hotLoops(one, ISAS[isa])) {
        loops++;
        const found = stackAccesses(body, one, ISAS[isa]);
        if (found.length === 0) continue;
        spilling++;
        process.stdout.write(`${isa}: ${one.name.replace(/effnet::|\(anonymous namespace\)::/g, '')}\n`);
        for (const { at, text } of found) process.stdout.write(`    ${at.toString(16)}: ${text}\n`);
      }
    }
    process.stdout.write(`${basename(folder)}: ${isa}: ${loops} innermost loops with multiply-adds, ${spilling} of them touch the stack with a vector\n`);
    failures += spilling + (loops === 0 ? 1 : 0);
  }
}
process.stdout.write(failures === 0 ? '1 passed, 0 failed\n' : '0 passed, 1 failed\n');
process.exit(failures === 0 ? 0 : 1);
