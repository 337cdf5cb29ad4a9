import type { KubeObject } from '../kube/types.ts';
import { childNames, SECRET_KEY } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

export interface SecretObject extends KubeObject {
  readonly type: 'Opaque';
  /** Nodes read it when they start: with two in use they would refuse each other. */
  readonly immutable: true;
  /** Base64. */
  readonly data: Readonly<Record<string, string>>;
}

/** What members and operator share. Made once, from 32 random bytes in hexadecimal; never part of what is applied again. */
export const secretOf = (owner: Owner, secret: string): SecretObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: childMeta(owner, childNames.secret(owner.name)),
  type: 'Opaque',
  immutable: true,
  data: { [SECRET_KEY]: Buffer.from(secret).toString('base64') },
});
