#!/usr/bin/env node
/**
 * The launcher of the program `dht`.
 *
 * Sixteen threads for libuv's pool, where file operations run: with the default of four, a few slow fsyncs hold up every
 * other read of the node. The pool reads the setting once, at its first use, so it is set before the program is loaded. A
 * setting from outside wins.
 */
process.env.UV_THREADPOOL_SIZE ??= '16';

await import('../dist/main.js');
