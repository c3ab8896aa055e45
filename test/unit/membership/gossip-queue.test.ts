import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import { GossipQueue } from '../../../src/membership/gossip-queue.ts';

const a = 'a'.repeat(32) as NodeId;
const b = 'b'.repeat(32) as NodeId;

describe('gossip queue', () => {
  test('tells a piece of news multiplier * ceil(log10(n + 1)) times', () => {
    for (const [members, tellings] of [[3, 4], [10, 8], [1000, 16]] as const) {
      const queue = new GossipQueue(4);
      queue.push(a);
      let told = 0;
      while (queue.size > 0) told += queue.take(5, members).length;
      expect(told).toBe(tellings);
    }
  });

  test('what was told least often goes first', () => {
    const queue = new GossipQueue(4);
    queue.push(a);
    queue.take(1, 10);
    queue.push(b);
    expect(queue.take(1, 10)).toEqual([b]);
    expect(queue.take(2, 10)).toEqual([a, b]);
  });

  test('news of a node already told begins anew', () => {
    const queue = new GossipQueue(1);
    queue.push(a);
    queue.take(1, 3);
    expect(queue.size).toBe(0);
    queue.push(a);
    expect(queue.take(1, 3)).toEqual([a]);
  });
});
