/**
 * Scripted conversations of a group: a file of commands and what they print, in the manner of etcd's data-driven tests. A
 * block is a command, a line `----`, what it prints, and a blank line. `UPDATE_TESTDATA=1` writes what they print now.
 *
 * ```text
 * group a b c              start a group of three voters
 * add d                    start a replica that knows the group and is not in it
 * tick a 10                let time pass for one replica
 * campaign a               without waiting for a timeout
 * propose a                an entry through this replica
 * sync a                   its disk catches up
 * deliver [count]          the oldest messages arrive, all that are under way without a count
 * overtake                 the latest message arrives
 * drop [from>to]           the oldest messages are lost, those between two replicas or all
 * settle                   until nothing moves
 * crash a / restart a      from what is durable
 * damage a on              its log is damaged
 * change a voters=a,b [learners=c]
 * transfer a b
 * read a
 * status
 * ```
 */
import { RaftCluster } from './raft-cluster.ts';

export interface Block {
  readonly comment: string;
  readonly command: string;
  readonly expected: string;
}

export function parseConversation(text: string): Block[] {
  const blocks: Block[] = [];
  for (const part of text.split(/\n\n+/)) {
    const lines = part.split('\n').filter((line) => line !== '');
    const comments = lines.filter((line) => line.startsWith('#'));
    const rest = lines.filter((line) => !line.startsWith('#'));
    const [command, rule, ...expected] = rest;
    if (command === undefined) continue;
    if (rule !== '----') throw new Error(`no ---- behind ${command}`);
    blocks.push({ comment: comments.join('\n'), command, expected: expected.join('\n') });
  }
  return blocks;
}

export const printBlock = ({ comment, command }: Block, output: string): string =>
  [comment, command, '----', output].filter((line) => line !== '').join('\n');

const list = (text: string | undefined): string[] => (text === undefined ? [] : text.split(','));

/** Runs commands against one group; answers what each prints. */
export class Conversation {
  #cluster = new RaftCluster([], 1);
  #reads = 0;

  run(command: string): string {
    const [verb = '', ...args] = command.split(' ');
    const before = this.#cluster.trace.length;
    const printed = this.#perform(verb, args);
    if (printed !== null) return printed;
    const lines = this.#cluster.trace.slice(before);
    return lines.length === 0 ? 'nothing' : lines.join('\n');
  }

  /** What it prints instead of what has happened, or null. */
  #perform(verb: string, args: readonly string[]): string | null {
    const cluster = this.#cluster;
    const [id = '', second = ''] = args;
    switch (verb) {
      case 'group':
        this.#cluster = new RaftCluster(args, 1);
        return 'ok';
      case 'add':
        cluster.add(id);
        return 'ok';
      case 'tick':
        for (let i = 0; i < Number(second); i += 1) cluster.tick(id);
        return null;
      case 'campaign':
        cluster.campaign(id);
        return null;
      case 'propose':
        return cluster.propose(id) ? null : 'refused';
      case 'sync':
        cluster.sync(id);
        return null;
      case 'deliver':
        for (let n = id === '' ? cluster.network.length : Number(id); n > 0; n -= 1)
          cluster.deliver(0);
        return null;
      case 'overtake':
        cluster.deliver(cluster.network.length - 1);
        return null;
      case 'drop':
        return `${String(cluster.drop(id))} lost`;
      case 'settle':
        cluster.settle();
        return null;
      case 'crash':
        cluster.crash(id);
        return null;
      case 'restart':
        cluster.restart(id);
        return null;
      case 'damage':
        cluster.damage(id, second === 'on');
        return null;
      case 'forget':
        cluster.forget(id);
        return 'ok';
      case 'change':
        return this.#change(id, args);
      case 'transfer':
        cluster.transfer(id, second);
        return null;
      case 'read':
        this.#reads += 1;
        cluster.read(id, this.#reads);
        return null;
      case 'status':
        return [...cluster.replicas.keys()].map((name) => cluster.status(name)).join('\n');
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #change(id: string, args: readonly string[]): string | null {
    const option = (name: string): string | undefined =>
      args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1);
    const next = {
      voters: list(option('voters')),
      outgoing: [],
      learners: list(option('learners')),
    };
    return this.#cluster.change(id, next) ? null : 'refused';
  }
}
