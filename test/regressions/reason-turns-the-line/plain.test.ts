/**
 * Text of a command or an operator could move a terminal's cursor or reverse the direction of a line: it is stored
 * without such characters.
 */
import { expect, test } from 'vitest';
import { plainText } from '../../../config/plain-text.ts';
import { describeError, ProbeFailure } from '../../../health/checks/probe.ts';

const HOSTILE = 'a\u001b[2Jb\u009bc\u202ed\u2066e\r\nf';

test('control, C1 and bidirectional characters become blanks', () => {
  expect(plainText(HOSTILE)).toBe('a [2Jb c d e  f');
  expect(describeError(new ProbeFailure(HOSTILE))).toBe('a [2Jb c d e f');
});

test('letters of all scripts stay', () => {
  expect(plainText('서울 שלום é 🙂')).toBe('서울 שלום é 🙂');
});
