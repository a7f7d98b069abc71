import { describe, expect, test } from 'vitest';
import type { BodyMatch } from '../../../../config/check-fields.ts';
import { bodyMatcher } from '../../../../health/checks/body-match.ts';
import { createDice } from '../../../support/random.ts';

const dice = createDice(1);
const regex = (source: string, flags = ''): BodyMatch => ({ kind: 'regex', source, flags });
const finds = (match: BodyMatch, text: string): boolean => bodyMatcher(match).test(Buffer.from(text));

describe('what is found', () => {
  test.each([
    [{ kind: 'text', text: 'a.c' } as const, 'xa.cx', 'xabcx'],
    [regex('a.c'), 'xabcx', 'xacx'],
    [regex('A.C', 'i'), 'xabcx', 'xacx'],
    [regex('^ok$', 'm'), 'no\nok\n', 'not ok'],
    [regex('a.b', 's'), 'a\nb', 'ab'],
    [regex('^.$', 'u'), '😀', 'ab'],
    [regex('"status":\\s*"(up|ok)"'), '{"status": "ok"}', '{"status": "down"}'],
    [regex('[*+?{]'), 'a*', 'a'],
    [regex('\\*\\{'), '*{', '**'],
    [regex('(?:up|ok)!'), 'ok!', 'ok'],
    [regex('(?<=a)b+c'), 'abbc', 'bbc'],
    [regex('x{3}', 'g'), 'xxx', 'xx'],
  ])('%o', (match, has, hasNot) => {
    const matcher = bodyMatcher(match);
    // Twice, since a RegExp may remember.
    expect([has, hasNot, has, hasNot].map((text) => matcher.test(Buffer.from(text)))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('is what was looked for by each, one beside the other', () => {
    const [a, b] = [bodyMatcher(regex('a+')), bodyMatcher(regex('b+'))];
    expect([a, b, a, b].map((matcher) => matcher.test(Buffer.from('xxa')))).toEqual([true, false, true, false]);
  });
});

describe('what is never found ends', () => {
  const hard = 'a'.repeat(64 * 1024);
  test.each([
    ...['^(a+)+$', '(a*)*b', '(a|a)*b', 'a*a*a*b', '(.*a){20}b', '^(?:a?){40}a{40}b', '([a-z]+)*!'],
    // Without a repeat: 2^34 ways for an engine that tries all of them.
    `^${'(a|a)'.repeat(34)}b`,
    `^(?:${Array.from({ length: 34 }, (_, at) => 'a'.repeat(at + 1)).join('|')})+$`,
  ])('/%s/', (source) => {
    expect(finds(regex(source), `${hard}?`)).toBe(false);
    expect(finds(regex(source), `${hard.slice(0, 60)}?`)).toBe(false);
  });

  test('what takes long all the same is stopped, and may be looked for again', () => {
    const source = '[ab]*a[ab]{900}$';
    const received = Buffer.from(Array.from({ length: 60_000 }, () => 'ab'[dice.below(2)]).join(''));
    const match = regex(source);
    for (let round = 0; round < 2; round++) {
      expect(() => bodyMatcher(match).test(received)).toThrow(`/${source}/ takes more than 100 ms`);
    }
    expect(bodyMatcher(match).test(Buffer.from(`${'b'.repeat(100)}${'a'.repeat(901)}`))).toBe(true);
  });

  test('and the next is looked for as ever', () => {
    expect(finds(regex('a+'), 'aaa')).toBe(true);
  });
});
