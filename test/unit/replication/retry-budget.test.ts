import { describe, expect, test } from '@jest/globals';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import { RetryBudget, type RetryBudgetOptions } from '../../../src/replication/retry-budget.ts';

const OPTIONS: RetryBudgetOptions = { share: 0.1, perSecond: 10, burst: 5, waitMsMax: 1_000 };
const at = (ms: number): MonotonicMs => ms as MonotonicMs;

function takeMany(budget: RetryBudget, count: number, now: number): number[] {
  return Array.from({ length: count }, () => Math.round(budget.take(at(now))));
}

describe('a retry budget', () => {
  test('lets a burst through at once, then one retry after the other at the constant rate', () => {
    expect(takeMany(new RetryBudget(at(0), OPTIONS), 8, 0)).toEqual([0, 0, 0, 0, 0, 100, 200, 300]);
  });

  test('never has a retry wait longer than the most, and owes no more than that', () => {
    const budget = new RetryBudget(at(0), OPTIONS);
    expect(Math.max(...takeMany(budget, 1_000, 0))).toBe(1_000);
    expect(takeMany(budget, 1, 1_100)).toEqual([0]);
  });

  test('earns a tenth of a retry by each success', () => {
    const budget = new RetryBudget(at(0), OPTIONS);
    takeMany(budget, 5, 0);
    for (let i = 0; i < 21; i++) budget.succeeded();
    expect(takeMany(budget, 3, 0)).toEqual([0, 0, 90]);
  });

  test('saves no more than a burst, however long nothing fails', () => {
    const budget = new RetryBudget(at(0), OPTIONS);
    for (let i = 0; i < 1_000; i++) budget.succeeded();
    expect(takeMany(budget, 6, 1_000_000)).toEqual([0, 0, 0, 0, 0, 100]);
  });

  test('always lets a quiet node retry', () => {
    const budget = new RetryBudget(at(0), OPTIONS);
    takeMany(budget, 100, 0);
    for (let second = 3; second < 10; second++) expect(takeMany(budget, 5, second * 1_000)).toEqual([0, 0, 0, 0, 0]);
  });
});
