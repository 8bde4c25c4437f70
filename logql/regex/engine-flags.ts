import v8 from 'node:v8';

/**
 * Lets V8 leave its backtracking matcher for its linear one when a match backtracks too much, and makes the flag `l`
 * known, with which `compile.ts` asks whether that way out exists for a pattern.
 *
 * V8 caches compiled patterns without regard to these flags, so they must be set before the first pattern is
 * compiled: import this module before anything else. They hold in worker threads as well.
 */
v8.setFlagsFromString('--enable-experimental-regexp-engine');
v8.setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
