import { expect, test } from 'vitest';
import { createOrderBook, type OrderEntry } from '../../../fleet/order-book.ts';

const entry = (revision: number, order: string): OrderEntry => ({ key: 'k.x', revision, order, at: '', node: 'a' });

test('the newest entry of a key counts', () => {
  const book = createOrderBook([entry(2, 'saved')]);
  expect(book.take(entry(1, 'older'))).toBe(false);
  expect(book.take(entry(2, 'the same'))).toBe(false);
  expect(book.take(entry(3, 'newer'))).toBe(true);
  expect(book.get('k.x')?.order).toBe('newer');
});

test('an entry that was put together is replaced by the one with its revision, and only once', () => {
  const book = createOrderBook([entry(2, 'saved')]);
  book.restore(entry(4, 'restored'));
  expect([book.get('k.x')?.order, book.highest()]).toEqual(['restored', 4]);
  expect(book.take(entry(3, 'older'))).toBe(false);
  expect(book.take(entry(4, 'true'))).toBe(true);
  expect(book.take(entry(4, 'again'))).toBe(false);
  book.restore(entry(4, 'restored'));
  expect([book.get('k.x')?.order, book.take(entry(4, 'again'))]).toEqual(['true', false]);
});
