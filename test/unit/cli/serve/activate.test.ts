/**
 * A reload in progress: steps that may fail come before the switch, and leave the previous generation in force.
 */
import { describe, expect, test } from 'vitest';
import { activate, type ActivateParts } from '../../../../cli/serve/activate.ts';
import type { Current } from '../../../../cli/serve/generation.ts';

const generation = (number: number): Current => ({ number }) as Current;

/** Parts that record their calls. `fails` names the one that throws. */
function parts(fails: string): { readonly told: string[]; readonly parts: ActivateParts } {
  const told: string[] = [];
  const does = (what: string): void => {
    told.push(what);
    if (what === fails) throw new Error(`${what} failed`);
  };
  const later = (what: string) => async (): Promise<void> => {
    does(what);
    await Promise.resolve();
  };
  const follower = (name: string) => ({
    replaced: (before: Current, next: Current): void => {
      does(`${name} ${String(before.number)} to ${String(next.number)}`);
    },
  });
  return {
    told,
    parts: {
      state: { current: generation(1) },
      calendar: {
        prepare: async () => {
          await later('prepare')();
          return { start: later('start'), discard: later('discard') };
        },
      },
      configureHealth: ({ number }) => {
        does(`health ${String(number)}`);
      },
      publish: ({ number }) => later(`publish ${String(number)}`)(),
      followers: [follower('first'), follower('second')],
      log: {
        error: (_fields: unknown, message?: string) => {
          told.push(message ?? '');
        },
      } as ActivateParts['log'],
    },
  };
}

const SWITCHED = ['first 1 to 2', 'second 1 to 2', 'start'];

test('everything is prepared, published, and then announced', async () => {
  const { told, parts: all } = parts('');
  await activate(generation(2), all);
  expect(told).toEqual(['prepare', 'health 2', 'publish 2', ...SWITCHED]);
  expect(all.state.current.number).toBe(2);
});

describe('before the switch, a failure leaves the previous generation in force', () => {
  test.each([
    ['prepare', ['prepare']],
    ['health 2', ['prepare', 'health 2', 'discard', 'health 1']],
    ['publish 2', ['prepare', 'health 2', 'publish 2', 'discard', 'health 1']],
  ])('%s', async (fails, wanted) => {
    const { told, parts: all } = parts(fails);
    await expect(activate(generation(2), all)).rejects.toThrow(`${fails} failed`);
    expect(told).toEqual(wanted);
    expect(all.state.current.number).toBe(1);
  });
});

test('after the switch, a fault of one part is logged, and the others are called', async () => {
  const { told, parts: all } = parts('first 1 to 2');
  await activate(generation(2), all);
  const [first, ...rest] = SWITCHED;
  expect(told.slice(3)).toEqual([first, 'internal error after the reload to generation 2', ...rest]);
  expect(all.state.current.number).toBe(2);
});
