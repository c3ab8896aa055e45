/** The HELLO of some node, as bytes. */
import type { NodeId } from '../../../src/domain/ids.ts';
import { encodeHello } from '../../../src/protocol/hello.ts';
import type { Channel } from '../../../src/protocol/message.ts';
import { CLUSTER } from './sim-world.ts';

export function helloBytes(channel: Channel = 'data'): Buffer {
  return encodeHello({
    versionMin: 1, versionMax: 1, features: 0, clusterId: CLUSTER,
    identity: { nodeId: '9'.repeat(32) as NodeId, name: 'evil:1', advertise: 'evil:1', incarnation: 1 },
    position: { boot: 1, position: 1 }, epoch: 1, channel,
  });
}
