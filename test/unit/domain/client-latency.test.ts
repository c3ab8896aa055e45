import { describe, expect, test } from '@jest/globals';
import { ClientLatency } from '../../../src/domain/client-latency.ts';

const latency = (): ClientLatency => new ClientLatency({ samplesMax: 100, samplesMin: 10, noiseMs: 5 });

function second(of: ClientLatency, durationMs: number, count = 50): 'calm' | 'slow' {
  for (let i = 0; i < count; i++) of.add(durationMs);
  return of.judge();
}

describe('client latency', () => {
  test('is slow when the 99th percentile is more than twice the usual, and calm again when it came back', () => {
    const clients = latency();
    expect([second(clients, 20), second(clients, 25), second(clients, 60), second(clients, 20)]).toEqual(['calm', 'calm', 'slow', 'calm']);
  });

  test('sees one operation of a hundred', () => {
    const clients = latency();
    second(clients, 10, 100);
    for (let i = 0; i < 99; i++) clients.add(10);
    clients.add(500);
    expect(clients.judge()).toBe('slow');
  });

  test('says nothing of few operations, nor of changes among short times', () => {
    const clients = latency();
    expect([second(clients, 20), second(clients, 900, 3)]).toEqual(['calm', 'calm']);
    const fast = latency();
    expect([second(fast, 1), second(fast, 4)]).toEqual(['calm', 'calm']);
  });

  test('gets used to a load that lasts', () => {
    const clients = latency();
    second(clients, 20);
    const verdicts = Array.from({ length: 300 }, () => second(clients, 50));
    expect([verdicts[0], verdicts.at(-1)]).toEqual(['slow', 'calm']);
  });
});
