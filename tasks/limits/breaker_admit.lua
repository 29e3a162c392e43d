-- Whether an image may be delivered, asked by who believes that delivery is held.
-- KEYS  1 the hash of this destination     ARGV  1 the image  2 how long a probe may take in microseconds
-- Returns 'closed' (nothing is held), 'probe' (this image is to find out), or 'held'.
local has = redis.call('HMGET', KEYS[1], 'since', 'until', 'probe', 'probe_until')
if not has[1] then return 'closed' end
if now < tonumber(has[2]) then return 'held' end
if has[3] and has[3] ~= ARGV[1] and now < tonumber(has[4]) then return 'held' end
redis.call('HSET', KEYS[1], 'probe', ARGV[1], 'probe_until', whole(now + ARGV[2]))
return 'probe'
