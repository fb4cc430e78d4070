-- What is a letter depends on the server's locale, and differs from Python's answer: the service decides that. Here it
-- is said that a word is short and holds no sign that could end up as anything else in a prompt.

alter table users
    drop constraint users_subject_word_check,
    add constraint users_subject_word_check check (
        char_length(subject_word) between 1 and 40
        and subject_word !~ '[\x01-\x1f!-,./:-@\[-`{-\x7f]'
        and subject_word !~ '^[ -]|[ -]$|  '
    );
