/** What the log and the events say about dynamic updates. */
import pino from 'pino';
import { expect, it } from 'vitest';
import { createUpdateNews, type UpdateNews } from '../../../../cli/serve/update-news.ts';
import { createEventLog, type EventDocument } from '../../../../status/events.ts';
import { parseName, type Name } from '../../../../wire/name.ts';
import { RCODE, TYPE } from '../../../../wire/types.ts';

const zone = parseName('example.com.');
const name = (label: string): Name => parseName(`${label}.example.com.`);
const from = { zone, key: 'acme', peer: Uint8Array.of(192, 0, 2, 7) };
const octets = Uint8Array.of(1);

function told(report: (news: UpdateNews) => void): readonly EventDocument[] {
  const events = createEventLog();
  report(createUpdateNews(events, pino({ level: 'silent' })));
  return events.after(undefined);
}

it('names the key, the address, and the records', () => {
  const sets = [
    { name: name('a'), type: TYPE.A, data: [octets, octets] },
    { name: name('b'), type: TYPE.TXT, data: [] },
    { name: name('c'), type: TYPE.AAAA, data: [octets] },
  ];
  expect(
    told((news) => {
      news.done({ ...from, sets });
    }),
  ).toMatchObject([
    {
      kind: 'update',
      to: 'done',
      who: 'acme',
      message:
        'update of example.com by the key acme from 192.0.2.7: a.example.com A (2 records), b.example.com TXT (deleted), c.example.com AAAA (1 record)',
      update: {
        zone: 'example.com',
        key: 'acme',
        peer: '192.0.2.7',
        sets: [
          { name: 'a.example.com', type: 'A', records: 2 },
          { name: 'b.example.com', type: 'TXT', records: 0 },
          { name: 'c.example.com', type: 'AAAA', records: 1 },
        ],
        more: 0,
      },
    },
  ]);
});

it('names at most fifty sets in an event, and five in its text', () => {
  const sets = Array.from({ length: 60 }, (_, index) => ({ name: name(`n${index}`), type: TYPE.A, data: [octets] }));
  const [event] = told((news) => {
    news.done({ ...from, sets });
  });
  expect(event?.update?.sets).toHaveLength(50);
  expect(event?.update?.more).toBe(10);
  expect(event?.message).toMatch(/n4\.example\.com A \(1 record\) and 55 more$/);
});

it('reports refused and failed updates, but not prerequisites that are not met', () => {
  const records = [
    { name: name('a'), type: TYPE.A },
    { name: name('a'), type: TYPE.A },
  ];
  const events = told((news) => {
    news.refused({ ...from, records }, { rcode: RCODE.REFUSED, info: { code: 18, text: 'no rule' } });
    news.refused({ ...from, records }, { rcode: RCODE.SERVFAIL });
    for (const rcode of [RCODE.NXDOMAIN, RCODE.YXRRSET, RCODE.NOERROR]) news.refused({ ...from, records }, { rcode });
  });
  expect(events).toMatchObject([
    {
      to: 'refused',
      reason: 'no rule',
      message: 'update of example.com by the key acme from 192.0.2.7 refused: no rule (a.example.com A)',
      update: { sets: [{ name: 'a.example.com', type: 'A', records: null }], more: 0 },
    },
    { to: 'failed', reason: null },
  ]);
});

it('reports at most ten refusals per minute', () => {
  const events = told((news) => {
    for (let count = 0; count < 30; count++) news.refused({ ...from, records: [] }, { rcode: RCODE.REFUSED });
  });
  expect(events).toHaveLength(10);
});

it('says which dynamic records the files replaced', () => {
  expect(
    told((news) => {
      news.dropped(zone, { name: name('a'), type: TYPE.A, data: [octets] });
    }),
  ).toMatchObject([
    { kind: 'update', to: 'dropped', who: null, update: { key: null, peer: null, zone: 'example.com' } },
  ]);
});
