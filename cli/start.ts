/**
 * Where the process starts. Signals first: reading the modules of a command takes longer than Node.js itself.
 */
import { holdSignals } from './signals.ts';

if (process.argv[2] === 'serve') holdSignals();
await import('./main.ts');
