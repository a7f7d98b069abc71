/**
 * Entry of the process. Signals come first, since loading the modules of a command takes longer than Node.js itself.
 */
import { holdSignals } from './signals.ts';

if (process.argv[2] === 'serve') holdSignals();
await import('./main.ts');
