import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClusterId, NodeId } from '../../../src/domain/ids.ts';
import { FRAME_LIMITS } from '../../../src/protocol/codec.ts';
import { FrameDecoder, type Frame } from '../../../src/protocol/frame.ts';
import { decodeHello, encodeHello, encodeRefusal, judgeHello, type Hello } from '../../../src/protocol/hello.ts';
import { anyHello } from './arbitrary-messages.ts';

const CLUSTER_A = 'a'.repeat(32) as ClusterId;
const CLUSTER_B = 'b'.repeat(32) as ClusterId;

function frameOf(bytes: Buffer): Frame {
  const decoder = new FrameDecoder(FRAME_LIMITS);
  decoder.push(bytes);
  const frame = decoder.next();
  if (frame.kind !== 'frame') throw new Error(JSON.stringify(frame));
  return frame;
}

const hello = (change: Partial<Hello>): Hello => ({
  versionMin: 1, versionMax: 1, features: 0, clusterId: CLUSTER_A,
  identity: { nodeId: '1'.repeat(32) as NodeId, name: 'a:1', advertise: 'a:1', incarnation: 1 },
  position: { boot: 1, position: 100 }, epoch: 4, channel: 'data', ...change,
});

describe('HELLO', () => {
  test('comes back as it was', () => {
    fc.assert(fc.property(anyHello, (own) => {
      expect(decodeHello(frameOf(encodeHello(own)))).toEqual({ kind: 'hello', hello: own });
    }));
  });

  test('a refusal comes back with its code', () => {
    const refusal = { code: 'DHT_ERR_CLUSTER_FOREIGN', detail: 'x' } as const;
    expect(decodeHello(frameOf(encodeRefusal(refusal)))).toEqual({ kind: 'refusal', refusal });
  });

  test.each([
    ['the same cluster', CLUSTER_A, CLUSTER_A, 'accepted'],
    ['an empty node and a member', null, CLUSTER_A, 'accepted'],
    ['a member and an empty node', CLUSTER_A, null, 'accepted'],
    ['two empty nodes', null, null, 'accepted'],
    ['two clusters', CLUSTER_A, CLUSTER_B, 'refused'],
  ])('of %s is %s, %s: %s', (_what, own, theirs, verdict) => {
    expect(judgeHello(hello({ clusterId: own }), hello({ clusterId: theirs })).kind).toBe(verdict);
  });

  test.each([
    [1, 1, 1, 1, 1],
    [1, 3, 2, 5, 3],
    [2, 5, 1, 3, 3],
    [1, 1, 2, 3, null],
    [2, 3, 1, 1, null],
  ])('of versions %i to %i and %i to %i agrees on %p', (ownMin, ownMax, theirMin, theirMax, version) => {
    const verdict = judgeHello(hello({ versionMin: ownMin, versionMax: ownMax }), hello({ versionMin: theirMin, versionMax: theirMax }));
    if (version === null) expect(verdict).toMatchObject({ kind: 'refused', refusal: { code: 'DHT_ERR_PEER_VERSION' } });
    else expect(verdict).toEqual({ kind: 'accepted', version });
  });
});
