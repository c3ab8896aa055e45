/** What the connections of a node say of it, asked anew each time, and what they tell it about its peers. */
import type { ClusterId, Epoch } from '../domain/ids.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, type Hello } from '../protocol/hello.ts';
import type { BootPosition, Channel } from '../protocol/message.ts';

export interface LocalNode {
  identity(): PeerIdentity;
  /** Null: an empty node. When it changes, each connection says so before its next frame. */
  clusterId(): ClusterId | null;
  /** The boot and its fsynced log position (rule R16). */
  position(): BootPosition;
  /** The node's own persisted epoch. */
  epoch(): Epoch;
  /**
   * What a peer said of itself: at each HELLO, and when the epoch in its frames changes. `boot` is from its HELLO.
   * Also called for peers whose HELLO names another node than the caller of a call expected.
   */
  onPeerSeen(peer: PeerIdentity, epoch: Epoch, boot: BootPosition): void;
}

export function helloOf(local: LocalNode, channel: Channel): Hello {
  return {
    versionMin: PROTOCOL_VERSION_MIN,
    versionMax: PROTOCOL_VERSION_MAX,
    features: 0,
    clusterId: local.clusterId(),
    identity: local.identity(),
    position: local.position(),
    epoch: local.epoch(),
    channel,
  };
}
