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
