/** Small files of every type, as bytes. */
const OFFICE = 'application/vnd.openxmlformats-officedocument';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** An archive with the entries uncompressed. */
function zipOf(entries: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(entries)) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt32LE(text.length, 18);
    local.writeUInt32LE(text.length, 22);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt32LE(text.length, 20);
    entry.writeUInt32LE(text.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), Buffer.from(text));
    central.push(entry, Buffer.from(name));
    offset += 30 + name.length + text.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(entries).length, 10);
  end.writeUInt32LE(Buffer.concat(central).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...central, end]);
}

function officeZip(folder: string, part: string): Buffer {
  const types = `<Types><Override PartName="/${folder}" ContentType="${OFFICE}.${part}.main+xml"/></Types>`;
  return zipOf({ '[Content_Types].xml': types, [`${folder}/main.xml`]: '<a/>' });
}

const compoundFile = (stream: string): Buffer =>
  Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(504), Buffer.from(stream, 'utf16le')]);

const mp4 = (brand: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, 0, 0, 24]),
    Buffer.from(`ftyp${brand}`),
    Buffer.alloc(12),
    Buffer.alloc(64),
  ]);

export const FILES = {
  jpeg: Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100', 'hex'), Buffer.alloc(64)]),
  png,
  gif: Buffer.from('R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=', 'base64'),
  webp: Buffer.concat([
    Buffer.from('RIFF'),
    Buffer.from([64, 0, 0, 0]),
    Buffer.from('WEBPVP8 '),
    Buffer.alloc(64),
  ]),
  mp4: mp4('isom'),
  quickTime: mp4('qt  '),
  heic: mp4('heic'),
  avif: mp4('avif'),
  pdf: Buffer.from('%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n'.padEnd(200)),
  docx: officeZip('word', 'wordprocessingml.document'),
  pptx: officeZip('ppt', 'presentationml.presentation'),
  xlsx: officeZip('xl', 'spreadsheetml.sheet'),
  zip: zipOf({ 'notes.txt': 'nothing' }),
  doc: compoundFile('WordDocument'),
  ppt: compoundFile('PowerPoint Document'),
  xls: compoundFile('Workbook'),
  html: Buffer.from('<!DOCTYPE html><html><body>Sign in</body></html>'),
  page: Buffer.from('\ufeff\n <!-- a page --><HTML lang="en"><body>Sign in</body></HTML>'),
  json: Buffer.from('{"error": "not found"}'),
  xml: Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
  svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"></svg>'),
  empty: Buffer.alloc(0),
} as const;
