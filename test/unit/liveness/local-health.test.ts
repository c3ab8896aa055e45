import { beforeEach, describe, expect, test } from '@jest/globals';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import { LocalHealth } from '../../../src/liveness/local-health.ts';

const at = (ms: number): MonotonicMs => ms as MonotonicMs;

describe('local health', () => {
  let health: LocalHealth;
  beforeEach(() => {
    health = new LocalHealth({ tickMs: 50, periodMs: 500 });
    health.tick(at(0));
  });

  test('lateness up to half a period is nothing', () => {
    expect(health.tick(at(300))).toBe(false);
    expect(health.awareness).toBe(0);
    expect(health.timeoutFactor).toBe(1);
  });

  test('a later tick discards the round, raises awareness and forbids accusations for a period', () => {
    expect(health.tick(at(1600))).toBe(true);
    expect(health.awareness).toBe(4);
    expect(health.timeoutFactor).toBe(5);
    expect(health.mayAccuse(at(2099))).toBe(false);
    expect(health.mayAccuse(at(2100))).toBe(true);
  });

  test('awareness ends at eight and its factor too', () => {
    health.tick(at(60_000));
    expect(health.awareness).toBe(8);
    expect(health.timeoutFactor).toBe(8);
  });

  test('each period on time lowers it by one', () => {
    health.tick(at(1000));
    expect(health.awareness).toBe(2);
    for (let ms = 1050; ms <= 2000; ms += 50) health.tick(at(ms));
    expect(health.awareness).toBe(0);
  });

  test('a sample of the loop\'s delay counts like a late tick, a wrong accusation by one', () => {
    expect(health.loopDelay(900, at(10))).toBe(true);
    expect(health.awareness).toBe(2);
    health.wasAccused();
    expect(health.awareness).toBe(3);
  });
});
