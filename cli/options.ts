/**
 * Parts of command lines that several commands use.
 */

import type { Command } from 'commander';
import type { Output } from './output.ts';

/** The program, and what its commands write to. */
export type Cli = {
  readonly program: Command;
  readonly output: Output;
  /** Takes the exit code. */
  readonly done: (code: number) => void;
};

/** For an option that may be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

/** The last part of a help text. */
export function example(...lines: readonly string[]): string {
  return `\nExample${lines.length > 1 ? 's' : ''}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
