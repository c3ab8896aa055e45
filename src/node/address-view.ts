/** A member as people know it: host, port and key of the seed, read back from its name `host:port`. */
import { must } from '../domain/assert.ts';
import type { LayoutMember } from '../domain/layout.ts';
import { parseAddress } from '../domain/node-address.ts';
import type { AddressView } from './node-service.ts';

export function addressView(member: LayoutMember): AddressView {
  const { host, port } = must(parseAddress(member.name), `the address in the member name ${member.name}`);
  return { host, port, key: must(member.tokens[0], 'token 0') };
}
