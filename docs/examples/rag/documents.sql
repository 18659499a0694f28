INSERT INTO documents (title, content) VALUES
    ('Cats', 'A cat sleeps most of the day, best of all on a warm sofa or in a basket by the fire.'),
    ('Trains', 'The night train to Vienna leaves at half past nine and has beds and a dining car.'),
    ('Bread', 'Sourdough needs flour, water, salt and a day of patience; bake it in a very hot oven.'),
    ('Invoices', 'An invoice that is overdue for thirty days gets a reminder, after sixty a phone call.');
