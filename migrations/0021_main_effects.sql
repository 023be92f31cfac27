-- What a category adds wherever the others stand no longer shows in its length scale.
comment on view v1.posterior is
    'One row per study and parameter: the Gaussian process as last fitted. A short length scale means that the parameter matters; of a category, that what it does depends on the others. v1.importance has how much each matters.';

insert into schema_version (version, oldest_program) values (21, 15);
