-- What the meter of variety is made of: how bright and how warm a photo's light is, the colours around its middle, and the
-- share of its height that the face takes, where a service of the operator says so. Of photos that were kept alone.
alter table selfies
    add column mean_luma  real check (mean_luma between 0 and 255),
    add column warmth     real check (warmth between -255 and 255),
    add column ground     bytea check (octet_length(ground) = 64),
    add column face_share real check (face_share > 0 and face_share <= 1);
grant update (face_share, mean_luma, warmth, ground) on selfies to app;
