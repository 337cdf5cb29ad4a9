#!/usr/bin/env node
'use strict';
/*
 * The command of the packed package. It runs the compiled program, in a checkout the sources.
 * CommonJS, so that an old Node.js gets as far as the sentence that says what is wrong.
 */
const { existsSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const needed = [24, 12];
const [major, minor] = process.versions.node.split('.').map(Number);

const compiled = path.join(__dirname, '..', 'dist', 'node', 'src', 'main.js');
const source = path.join(__dirname, '..', 'node', 'src', 'main.ts');
const isCheckout = existsSync(source);

if (major > needed[0] || (major === needed[0] && minor >= needed[1])) {
  void import(pathToFileURL(isCheckout ? source : compiled).href);
} else if (isCheckout) {
  // A checkout brings its own Node.js.
  process.argv.splice(2, 0, 'sierradb');
  require('../tools/run.cjs');
} else {
  process.stderr.write(
    `sierradb needs Node.js ${needed.join('.')} or later; this is ${process.version} (${process.execPath}).\n`,
  );
  process.exit(1);
}
