/**
 * The commands of a document that a test runs. A block of them has a name in front of it:
 *
 *     <!-- run: first append -->
 *
 * and its commands begin with `$ `; a line that ends with a backslash goes on in the next one. Other lines are what they print.
 */

export interface CommandBlock {
  readonly name: string;
  readonly commands: readonly string[];
}

/** In the order of the document. */
export function commandBlocks(markdown: string): CommandBlock[] {
  const blocks = markdown.matchAll(/<!-- run: ([^>]+) -->\n\n```console\n([^]*?)\n```/g);
  return [...blocks].map(([, name = '', text = '']) => ({ name, commands: commandsIn(text) }));
}

function commandsIn(text: string): string[] {
  return [...text.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command = '']) => command);
}
