import { createHash } from 'node:crypto'

/** A script, and the name that the server knows it by. */
export interface Script {
  readonly source: string
  readonly sha: string
}

function script(source: string): Script {
  // The server keeps the text as it is, so it is short and its comments are here.
  const text = source.trim().replace(/\n\s*/g, '\n')
  return { source: text, sha: createHash('sha1').update(text).digest('hex') }
}

/**
 * Sets `id` to who the server is. A server that was promoted keeps its run_id, and one that was started anew its
 * replication id: only both together tell the history of its data.
 */
const IDENTITY = `
  local i,j=redis.call('INFO','server'),redis.call('INFO','replication')
  if not string.find(j,'role:master',1,true) then return redis.error_reply('NOTMASTER the server is a replica') end
  local a,b=string.match(i,'run_id:(%w+)'),string.match(j,'master_replid:(%w+)')
  if not (a and b) then return redis.error_reply('NOIDENTITY the server does not tell its run_id and master_replid') end
  local id=a..b`

/** What is answered where there is no record, or one that cannot be read. */
const NO_EPOCH = `return redis.error_reply('NOEPOCH there is no record')`

/** Sets `h` to fields of the record, of which the first is the epoch. */
const record = (key: string, fields: readonly string[]): string => `
  local h=redis.pcall('HMGET',${key},${fields.map((field) => `'${field}'`).join()})
  if h.err or not h[1] then ${NO_EPOCH} end`

/** Compares the identity with the field at `at`, if the caller's flag is set. */
const checked = (flag: string, at: number): string => `
  if ${flag}=='1' then ${IDENTITY}
    if h[${at}]~=id then ${NO_EPOCH} end
  end`

/** Sets `now` to the time of day in ms. It comes after all writes, for the time is not the same on a replica. */
const NOW = `
  local t=redis.call('TIME')
  local now=t[1]*1000+math.floor(t[2]/1000)`

/**
 * `v w l | random, g, s` → `g, s, now`. The epoch of the record, which begins anew where there is none, where it belongs to
 * another server, or where it is older than what the caller has seen. An epoch is n·2²⁶ + `random`; n is one more than
 * any that the record or the caller knew, so that of two epochs the greater is the newer.
 */
export const ATTACH = script(`
${IDENTITY}
local h=redis.pcall('HMGET',KEYS[1],'g','r','s','h','b','f')
if h.err then h={} end
local function num(x) x=x and string.find(x,'^%d+$') and tonumber(x) if x and x<9007199254740992 then return x end end
local g,s=num(h[1]),num(h[3])
local g0,s0=tonumber(ARGV[2]),tonumber(ARGV[3])
local lost=not (g and s and num(h[5]) and num(h[6])) or h[2]~=id or g<g0 or (g==g0 and s<s0)
if not lost and h[4] then
  lost=redis.pcall('HGET',KEYS[2],'g')~=h[1]
end
if not lost then ${NOW} return {h[1],h[3],now} end
local n=math.max(math.floor((g or 0)/67108864),math.floor(g0/67108864))+1
if n>=134217728 then return redis.error_reply('EXHAUSTED there are no more epochs: unlink the keys of the namespace') end
g=string.format('%.0f',n*67108864+tonumber(ARGV[1]))
redis.call('UNLINK',KEYS[1],KEYS[2],KEYS[3])
redis.call('HSET',KEYS[1],'g',g,'r',id,'s','0','b','0','f','0')
${NOW}
return {g,'0',now}`)

/**
 * `e v w [q] | =key, check [token, ms]` → `g, s, left, ttl, grace, encoding, payload, tag…`, or
 * `g, s, -1, left` while another loads, or `g, s, -2, reason, now`. An entry is believed only if nothing that it depends
 * on changed after the sequence number that it carries: neither its names, in both generations of the record, nor the
 * floor, which stands for all names that were forgotten.
 */
export const READ = script(`
${record('KEYS[2]', ['g', 's', 'f', 'h', 'r'])}
${checked('ARGV[2]', 5)}
local g,now,low=tonumber(h[1]),tonumber(h[2]),tonumber(h[3])
if not (g and now and low) then ${NO_EPOCH} end
local why='absent'
local e=redis.pcall('GET',KEYS[1])
if type(e)=='table' then why='unknown' e=false end
if e then
  why='unknown'
  if #e>=35 and string.byte(e)==1 then
    local x,enc,eg,es,ttl,grace,n,p=struct.unpack('>BBI8I8I8I8B',e)
    local t,ok={ARGV[1]},ttl<9007199254740992 and grace<9007199254740992
    for k=2,n+1 do
      local l,c=string.byte(e,p,p+1)
      if not ok or not c or c~=35 or l==0 or p+l>#e then ok=false break end
      t[k]=string.sub(e,p+1,p+l)
      p=p+l+1
    end
    local left=ok and redis.call('PTTL',KEYS[1])
    if ok and left>=0 then
      why='changed'
      ok=eg==g and es>=low and es<=now
      if ok then
        local y=redis.call('HMGET',KEYS[2],unpack(t))
        for k=1,n+1 do
          if y[k] then local q=tonumber(y[k]) if not q or q>es then ok=false break end end
        end
      end
      if ok and h[4] then
        t[n+2]='g'
        local y=redis.pcall('HMGET',KEYS[3],unpack(t))
        if y.err or y[n+2]~=h[1] then ${NO_EPOCH} end
        t[n+2]=nil
        for k=1,n+1 do
          if y[k] then local q=tonumber(y[k]) if not q or q>es then ok=false break end end
        end
      end
      if ok then
        return {h[1],h[2],left,string.format('%.0f',ttl),string.format('%.0f',grace),enc,string.sub(e,p),unpack(t,2)}
      end
    end
  end
end
if ARGV[3] and not redis.pcall('SET',KEYS[4],ARGV[3],'NX','PX',ARGV[4]) then
  local left=redis.call('PTTL',KEYS[4])
  if left>0 then return {h[1],h[2],-1,left} end
end
${NOW}
return {h[1],h[2],-2,why,now}`)

/**
 * `v w l, entry… | most of the log, most names, check, event, count, name…, compared…` → `g, s, removed, before, now`.
 * Advances the record, notes the names as changed and removes the entries. `before` is the greatest number that the
 * names compared had, or the floor, whichever is greater. A record that is full becomes the older generation of two.
 */
export const CHANGE = script(`
${record('KEYS[1]', ['g', 'r', 'f', 'b', 'h'])}
${checked('ARGV[3]', 2)}
local g,n=h[1],5+tonumber(ARGV[5])
local low,base=tonumber(h[3]),tonumber(h[4])
if not (low and base) then ${NO_EPOCH} end
local before=low
for a=n+1,#ARGV,200 do
  local z=math.min(a+199,#ARGV)
  local y=redis.call('HMGET',KEYS[1],unpack(ARGV,a,z))
  for k=1,z-a+1 do if y[k] then before=math.max(before,tonumber(y[k]) or 9007199254740991) end end
  if h[5] then
    y=redis.pcall('HMGET',KEYS[2],'g',unpack(ARGV,a,z))
    if y.err or y[1]~=g then ${NO_EPOCH} end
    for k=2,z-a+2 do if y[k] then before=math.max(before,tonumber(y[k]) or 9007199254740991) end end
  end
end
local s=redis.pcall('HINCRBY',KEYS[1],'s',1)
if type(s)=='table' then
  if string.find(s.err,'integer',1,true) or string.find(s.err,'overflow',1,true) then ${NO_EPOCH} end
  return s
end
if s<1 or s>=9007199254740992 then ${NO_EPOCH} end
s=string.format('%.0f',s)
local t={}
for a=6,n do
  if ARGV[a]=='c' then low=tonumber(s) redis.call('HSET',KEYS[1],'f',s) else t[#t+1]=ARGV[a] t[#t+1]=s end
  if #t>=200 or (a==n and #t>0) then redis.call('HSET',KEYS[1],unpack(t)) t={} end
end
local gone=0
for a=4,#KEYS,200 do gone=gone+redis.call('UNLINK',unpack(KEYS,a,math.min(a+199,#KEYS))) end
local x=redis.pcall('XADD',KEYS[3],'MAXLEN','~',ARGV[1],s..'-0','e',ARGV[4])
if type(x)=='table' and x.err then
  redis.call('UNLINK',KEYS[3])
  redis.call('XADD',KEYS[3],'MAXLEN','~',ARGV[1],s..'-0','e',ARGV[4])
end
if redis.call('HLEN',KEYS[1])>tonumber(ARGV[2])+(h[5] and 6 or 5) then
  redis.call('UNLINK',KEYS[2])
  redis.call('RENAME',KEYS[1],KEYS[2])
  redis.call('HSET',KEYS[1],'g',g,'r',h[2] or '','s',s,'b',s,'f',string.format('%.0f',math.max(low,base)),'h','1')
end
${NOW}
return {g,s,gone,string.format('%.0f',before),now}`)

/**
 * `v l | g, s, most, check` → `g, s [, events]`. The changes after a moment, up to the number of the record; none if the
 * record is of another epoch, or has no more.
 */
export const FOLLOW = script(`
${record('KEYS[1]', ['g', 's', 'r'])}
${checked('ARGV[4]', 3)}
local s=tonumber(h[2])
if not s then ${NO_EPOCH} end
if h[1]~=ARGV[1] or s<=tonumber(ARGV[2]) then return {h[1],h[2]} end
local x=redis.pcall('XRANGE',KEYS[2],string.format('%.0f-0',tonumber(ARGV[2])+1),h[2],'COUNT',ARGV[3])
if x.err then redis.pcall('UNLINK',KEYS[2]) x={} end
return {h[1],h[2],x}`)

/** `e q | token [, entry, deadline]` → `1`. Stores what was loaded, if anything, and ends the lease of the load. */
export const LAND = script(`
local x
if ARGV[2] then x=redis.pcall('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) end
if redis.pcall('GET',KEYS[2])==ARGV[1] then redis.call('UNLINK',KEYS[2]) end
if type(x)=='table' and x.err then return x end
return 1`)
