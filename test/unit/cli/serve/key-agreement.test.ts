/** CDS in a fleet: published only while all nodes sign with the same keys (docs/dnssec.md#keys). */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createKeyAgreement, type SigningFleet } from '../../../../cli/serve/key-agreement.ts';
import { judgeKeys, type KeyVerdict } from '../../../../fleet/judge-keys.ts';
import type { PeerView } from '../../../../fleet/member.ts';
import { nameKey, parseName } from '../../../../wire/name.ts';

const ZONE = nameKey(parseName('example.com.'));
const content = (keys: string | undefined) => new Map([[ZONE, { content: 'c', serial: 1, keys }]]);
type Peer = { readonly isFresh: boolean; readonly serves?: ReturnType<typeof content> | undefined };

const SAME: Peer = { isFresh: true, serves: content('k') };
const OTHER: Peer = { isFresh: true, serves: content('other') };

describe('the nodes agree', () => {
  test.each<[string, Readonly<Record<string, Peer>>, boolean, KeyVerdict['kind'], string?]>([
    ['alone', {}, true, 'same'],
    ['alone, without NATS', {}, false, 'unsure', 'not connected'],
    ['all have these keys', { b: SAME, c: SAME }, true, 'same'],
    ['one has other keys', { b: SAME, c: OTHER }, true, 'different', 'node c has other keys'],
    [
      'one does not sign the zone',
      { b: { isFresh: true, serves: content(undefined) } },
      true,
      'different',
      'node b does not sign',
    ],
    ['one is not heard', { b: { isFresh: false, serves: content('k') } }, true, 'unsure', 'node b is not heard'],
    [
      'one starts',
      { b: { isFresh: true, serves: new Map() as ReturnType<typeof content> } },
      true,
      'unsure',
      'node b does not serve',
    ],
    ['one was not asked yet', { b: { isFresh: true } }, true, 'unsure', 'node b does not serve'],
    ['one is not heard, and another differs', { b: { isFresh: false }, c: OTHER }, true, 'different', 'node c'],
  ])('%s', (_, peers, isConnected, kind, why = '') => {
    const fresh = new Set(Object.keys(peers).filter((node) => peers[node]?.isFresh));
    const servedBy = (node: string) => peers[node]?.serves;
    const verdict = judgeKeys(ZONE, 'k', { isConnected, known: Object.keys(peers), fresh, servedBy });
    expect(verdict.kind).toBe(kind);
    expect(verdict.kind === 'same' ? '' : verdict.why).toContain(why);
  });
});

describe('a server', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  function serverWith(peers: Record<string, Peer>) {
    let nowMs = 0;
    let signing = { keysDigest: 'k', cds: 'withheld' };
    let reloads = 0;
    const lines: string[] = [];
    const log = (line: unknown): void => void lines.push(String(line));
    const fleet: SigningFleet = {
      isConnected: () => true,
      known: () => Object.keys(peers),
      peers: () => Object.entries(peers).map(([node, { isFresh }]) => ({ node, isFresh }) as PeerView),
      serials: { servedBy: (node) => peers[node]?.serves },
    };
    const current = () => ({ catalog: { zones: [{ name: 'example.com', signing }] }, loaded: { files: { paths: [], texts: [] } } }); // prettier-ignore
    const agreement = createKeyAgreement({
      fleet,
      current: current as unknown as Parameters<typeof createKeyAgreement>[0]['current'],
      reload: () => {
        reloads++;
        signing = { ...signing, cds: agreement.agreed().get(ZONE) === signing.keysDigest ? 'published' : 'withheld' };
        return Promise.resolve();
      },
      log: { info: log, warn: log },
      nowMs: () => nowMs,
    });
    agreement.start();
    return {
      agreement,
      lines,
      reloads: () => reloads,
      cds: () => signing.cds,
      setKeys: (keysDigest: string) => {
        signing = { keysDigest, cds: agreement.agreed().get(ZONE) === keysDigest ? 'published' : 'withheld' };
      },
      wait: async (seconds: number) => {
        for (let i = 0; i < seconds; i++) {
          nowMs += 1000;
          vi.advanceTimersByTime(1000);
          for (let j = 0; j < 5; j++) await turn();
        }
      },
      [Symbol.dispose]: () => {
        agreement.stop();
      },
    };
  }

  test('reloads once when the nodes agree, and once when they no longer do; it says why', async () => {
    const peers: Record<string, Peer> = { b: SAME };
    using server = serverWith(peers);
    await server.wait(3);
    expect([server.cds(), server.reloads()]).toEqual(['published', 1]);
    peers['b'] = OTHER;
    await server.wait(3);
    expect([server.cds(), server.reloads()]).toEqual(['withheld', 2]);
    expect(server.agreement.whyWithheld('example.com')).toBe('node b has other keys');
    expect(server.lines.filter((line) => line.includes('withheld: node b has other keys'))).toHaveLength(1);
  });

  test('keeps the CDS while a node restarts, and not for ever', async () => {
    const peers: Record<string, Peer> = { b: SAME };
    using server = serverWith(peers);
    await server.wait(2);
    peers['b'] = { isFresh: false };
    await server.wait(50);
    peers['b'] = SAME;
    await server.wait(5);
    peers['b'] = { isFresh: false };
    await server.wait(50);
    expect([server.cds(), server.reloads()]).toEqual(['published', 1]);
    await server.wait(20);
    expect([server.cds(), server.reloads()]).toEqual(['withheld', 2]);
    expect(server.agreement.whyWithheld('example.com')).toContain('node b is not heard');
  });

  test('new keys need a new agreement, also while a node is not heard', async () => {
    const peers: Record<string, Peer> = { b: SAME };
    using server = serverWith(peers);
    await server.wait(2);
    peers['b'] = { isFresh: false };
    server.setKeys('new');
    await server.wait(3);
    expect(server.cds()).toBe('withheld');
    peers['b'] = { isFresh: true, serves: content('new') };
    await server.wait(40);
    expect(server.cds()).toBe('published');
  });
});
