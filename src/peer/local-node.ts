/** What the connections of a node say of it, asked anew each time, and what they tell it about its peers. */
import type { ClusterId, Epoch } from '../domain/ids.ts';
import type { VersionSpan } from '../domain/protocol-versions.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { Hello } from '../protocol/hello.ts';
import type { BootPosition, Channel } from '../protocol/message.ts';

export interface LocalNode {
  /** Of the peer protocol. */
  readonly versions: VersionSpan;
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
    versionMin: local.versions.min,
    versionMax: local.versions.max,
    features: 0,
    clusterId: local.clusterId(),
    identity: local.identity(),
    position: local.position(),
    epoch: local.epoch(),
    channel,
  };
}
