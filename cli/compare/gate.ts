/**
 * Bounds how many of something are under way at a time.
 */

/** `free`: how many may enter at once. */
export type Gate = { free: number; readonly waiting: (() => void)[] };

export async function enter(gate: Gate): Promise<void> {
  if (gate.free > 0) gate.free--;
  else await new Promise<void>((pass) => void gate.waiting.push(pass));
}

/** Lets the next one pass, if one waits. */
export function leave(gate: Gate): void {
  const next = gate.waiting.shift();
  if (next) next();
  else gate.free++;
}
