/** An Output that keeps the text, without colours. */
import type { Output } from '../../../cli/output.ts';

export function captureOutput(): { output: Output; out: () => string; error: () => string } {
  const out: string[] = [];
  const error: string[] = [];
  const output: Output = {
    out: (text) => void out.push(text),
    error: (text) => void error.push(text),
    style: (_style, text) => text,
    styleError: (_style, text) => text,
  };
  return { output, out: () => out.join('\n'), error: () => error.join('\n') };
}
