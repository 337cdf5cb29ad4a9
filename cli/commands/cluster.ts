/** `sierradb cluster …`: asks the members over their own addresses, not as a client. */
import { readFile } from 'node:fs/promises';

import type { NodeStatus } from '../../common/cluster-contract.ts';
import { addressOf } from '../address.ts';
import { type Change, changeMembers } from '../cluster-change.ts';
import { drainMember } from '../cluster-drain.ts';
import { askMember, type MemberStatus } from '../cluster-requests.ts';
import { clusterJson, clusterTable } from '../cluster-text.ts';
import type { Action, Command, Session } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import type { Line } from '../line.ts';
import { UsageError } from '../usage-error.ts';

const ADDRESS_DEFAULT = '127.0.0.1:9190';

export const cluster: Command = {
  name: 'cluster',
  usage: [
    'cluster status [flags]',
    'cluster drain [flags]',
    'cluster add HOST:PORT [flags]',
    'cluster remove INDEX [flags]',
    'cluster replace INDEX [HOST:PORT] [flags]',
  ],
  text: `Say how a cluster does: its members, and for every bucket the leader, the term, and how far its
replicas are. Any member can be asked; it tells where the others are.

drain has the member at --address hand over what it leads, and waits until it is safe to stop: until the
others are a majority that is up to date in every bucket that it holds. It leads nothing for five minutes.

add takes in a node that was started with an empty disk and the next --node-index; it gets its share of
the buckets. remove has the others take over what a node holds. replace gives a new disk the place of a
lost one: start the node with an empty directory and the flags it had. All three copy while clients go
on, wait until it is done, and may be repeated. --address is that of a member that stays.

When a majority is lost: "sierradb cluster recover --unsafe DIR", with the node of that directory stopped.`,
  flags: {
    address: {
      short: 'a',
      value: 'HOST:PORT',
      doc: `The cluster address of a member: network.cluster_address [${ADDRESS_DEFAULT}].`,
    },
    'secret-file': {
      value: 'FILE',
      doc: 'The secret of the cluster: network.cluster_secret_file.',
    },
    wait: {
      value: 'SECONDS',
      doc: 'How long it may take: drain [60], add, remove and replace [3600].',
    },
    cancel: { value: null, doc: 'drain: the member may lead again.' },
  },
  examples: [
    'sierradb cluster status',
    'sierradb cluster status --address 127.0.0.1:9192 --json | jq .buckets',
    'sierradb cluster drain --address 127.0.0.1:9192 && kill $PID',
    'sierradb cluster replace 1',
  ],
  isForMembers: true,
  prepare,
};

const verbs = ['status', 'drain', 'add', 'remove', 'replace'] as const;

function prepare(line: Line): Action {
  const [verb, ...more] = line.words;
  const known = verbs.find((name) => name === verb);
  if (known === undefined) {
    const names = `${verbs.slice(0, -1).join(', ')} and ${verbs.at(-1)}`;
    throw new UsageError(
      verb === undefined ? `what of it? ${names}` : `unknown command ${verb}; there are ${names}`,
    );
  }
  const change = changeOf(known, more);
  const given = line.text('address');
  const address = given === undefined ? ADDRESS_DEFAULT : addressOf(given);
  const timeoutMs = (line.number('timeout', 1) ?? 5) * 1000;
  const secretFile = line.text('secret-file') ?? null;
  if (known === 'status') {
    return async (session) => status(session, { address, secretFile, timeoutMs });
  }
  const waitMs = (line.number('wait', 0) ?? (change === null ? 60 : 3600)) * 1000;
  const isCancelled = line.has('cancel');
  return async (session) => {
    const asking = { address, secret: await secretOf(secretFile), timeoutMs, waitMs };
    if (change === null) return drainMember(session, { ...asking, isCancelled });
    return changeMembers(session, change, asking);
  };
}

/** Null for what changes nobody's place. */
function changeOf(verb: (typeof verbs)[number], words: readonly string[]): Change | null {
  const [first, second, ...rest] = words;
  const isChange = verb === 'add' || verb === 'remove' || verb === 'replace';
  const surplus = isChange ? (verb === 'replace' ? rest : words.slice(1)) : words;
  if (surplus.length > 0) throw new UsageError(`it does not take ${surplus.join(' ')}`);
  if (!isChange) return null;
  if (first === undefined) {
    throw new UsageError(verb === 'add' ? 'which node? HOST:PORT' : 'which node? its index');
  }
  if (verb === 'add') return { verb, at: addressOf(first) };
  if (!/^\d{1,2}$/.test(first)) throw new UsageError(`no index of a node: ${first}`);
  const index = Number(first);
  if (verb === 'remove') return { verb, index };
  return { verb, index, at: second === undefined ? null : addressOf(second) };
}

async function secretOf(file: string | null): Promise<string | null> {
  return file === null ? null : (await readFile(file, 'utf8')).trim();
}

interface Asking {
  readonly address: string;
  readonly secretFile: string | null;
  readonly timeoutMs: number;
}

async function status(session: Session, asking: Asking): Promise<number> {
  const { address, secretFile, timeoutMs } = asking;
  const secret = await secretOf(secretFile);
  const first = await askMember(address, { secret, timeoutMs });
  const members = await Promise.all(
    membersOf(first, address).map(async (member): Promise<MemberStatus> => {
      if (member.id === first.member) return { ...member, status: first, error: null };
      try {
        const answer = await askMember(member.address, { secret, timeoutMs });
        if (answer.member === member.id) return { ...member, status: answer, error: null };
        const other = `another disk is there, of member ${answer.member}`;
        return { ...member, status: null, error: other };
      } catch (error) {
        const { message } = error as Error;
        return { ...member, status: null, error: message.replace(`${member.address}: `, '') };
      }
    }),
  );
  const text = session.isJson ? clusterJson(first, members) : clusterTable(first, members);
  await session.output.line(text);
  return exitCode.done;
}

/** A node that still forms knows of nobody. */
const membersOf = (
  { members = [], member, index }: NodeStatus,
  address: string,
): NonNullable<NodeStatus['members']> =>
  members.length > 0 ? members : [{ id: member, index, address }];
