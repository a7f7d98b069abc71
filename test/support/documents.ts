/**
 * Runs the commands of documents: the output of every `sh` block is compared with the `text` block after it, in which a
 * line `...` means any lines, and a time means any time.
 */

export type Block = { readonly language: string; readonly text: string };

export type Step = { readonly script: string; readonly expected: string | undefined };

export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map((match) => ({
    language: match[1] ?? '',
    text: match[2] ?? '',
  }));
}

export function stepsOf(markdown: string): Step[] {
  return blocksOf(markdown).flatMap(({ language, text }, index, blocks) => {
    const next = blocks[index + 1];
    return language === 'sh' ? [{ script: text, expected: next?.language === 'text' ? next.text : undefined }] : [];
  });
}

export function patternOf(expected: string): RegExp {
  const lines = expected.split(/^\.\.\.\n/m).map((part) =>
    part
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC')
      .replace(/\bat \d\d:\d\d:\d\d UTC/g, 'at \\d\\d:\\d\\d:\\d\\d UTC')
      .replace(/\bin \d+ s\b/g, 'in \\d+ s'),
  );
  return new RegExp(`^${lines.join('(?:.*\\n)*?')}$`);
}
