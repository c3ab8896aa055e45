/** Who the two sides of the peer bench say they are. */
import { PROTOCOL_VERSIONS } from '../../src/domain/protocol-versions.ts';
import type { ClusterId, NodeId } from '../../src/domain/ids.ts';
import type { LocalNode } from '../../src/peer/local-node.ts';

export function benchNode(idDigit: string, name: string): LocalNode {
  const identity = { nodeId: idDigit.repeat(32) as NodeId, name, advertise: name, incarnation: 1 };
  return {
    versions: PROTOCOL_VERSIONS,
    identity: () => identity,
    clusterId: () => 'c'.repeat(32) as ClusterId,
    position: () => ({ boot: 1, position: 1 }),
    epoch: () => 1,
    onPeerSeen: () => {},
  };
}
