/**
 * How much the optimizing compiler of the JavaScript engine may inline. `answer()` and what it calls are many short
 * functions (named readers of table rows), and the default budget is spent before half of them are inlined.
 */
import { setFlagsFromString } from 'node:v8';

/** Bytecode per optimized function with all that is inlined; the default is 920. */
const CUMULATIVE_OCTETS = 6000;
/** Bytecode of the largest function that is inlined; the default is 460. */
const LARGEST_OCTETS = 1000;

/** Call it once, before any thread starts: it applies to all threads. */
export function inlineMore(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${CUMULATIVE_OCTETS}`);
  setFlagsFromString(`--max-inlined-bytecode-size=${LARGEST_OCTETS}`);
}
