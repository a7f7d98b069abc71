/**
 * Lists of numbers, one for each VIP, network or cell, in which a missing number is 0.
 */

export function numberAt(numbers: ArrayLike<number | undefined>, index: number): number {
  return numbers[index] ?? 0;
}

/** Adds to one number of a list. */
export function addAt(numbers: number[] | Float64Array, index: number, by: number): void {
  numbers[index] = numberAt(numbers, index) + by;
}
